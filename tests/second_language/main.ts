// A client whose types were generated from a product's OpenAPI document: one call with filters, columns and a token.
// It prints what it got as JSON; what is wrong about its types stops the compiler, what is wrong about values stops it.
import createClient from "openapi-fetch";
import type { paths } from "./product.js";

declare const process: { argv: string[] };

const DATA = "/v1/products/market.daily/data";
type Answer = paths[typeof DATA]["get"]["responses"][200]["content"]["application/json"];
type Row = Answer["data"][number];

const [, , baseUrl = "", token = ""] = process.argv;
const client = createClient<paths, "application/json" | "application/problem+json">({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

const { data, error, response } = await client.GET(DATA, {
  params: {
    query: {
      sec_id: "000001.XSHE,600000.XSHG",
      "trade_date.gte": "2024-01-03",
      select: "sec_id,trade_date,name,close,volume",
      order: "-trade_date",
      limit: 3,
    },
  },
});
if (error !== undefined) {
  throw new Error(`${response.status} ${error.code}: ${error.title}`);
}

// The compiler holds these to the document: a decimal is a text, a 64-bit integer a number or a text.
const closes: (string | null | undefined)[] = data.data.map((row: Row) => row.close);
const volumes: (number | string | null | undefined)[] = data.data.map((row: Row) => row.volume);
const next: string | null = data.page.next;

const refused = await client.GET(DATA, {
  // @ts-expect-error  the document knows no column of this name
  params: { query: { sec_idd: "000001.XSHE" } },
});
if (refused.error === undefined) {
  throw new Error("a filter on a column that does not exist was let pass");
}

const types = [...closes.map((each) => typeof each), ...volumes.map((each) => typeof each)];
console.log(
  JSON.stringify({
    rows: data.data,
    types,
    next,
    snapshot: response.headers.get("Datacanal-Snapshot"),
    refused: { status: refused.response.status, code: refused.error.code },
  }),
);
