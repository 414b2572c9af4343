"""`python -m datacanal.cli`: the same as the `datacanal` command; children of the supervisor start this way."""

from datacanal.cli.main import main
from datacanal.lifeline import hold_on

if __name__ == "__main__":
    hold_on()
    main()
