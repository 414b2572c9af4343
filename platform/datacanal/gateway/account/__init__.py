"""What developers and publishers manage at the gateway: accounts, subscriptions, keys, usage, receipts, invoices."""
