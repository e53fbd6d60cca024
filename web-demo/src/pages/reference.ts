// The reference of the API, written out from the document that the server makes of itself.

import { byId, make, setText } from "../page/page";
import { problemOf, request } from "../server/http";

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly oneOf?: readonly Schema[];
  readonly enum?: readonly string[];
}

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
  readonly description?: string;
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: Schema;
}

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content>>;
  readonly security?: readonly Readonly<Record<string, unknown>>[];
}

interface Document {
  readonly info: { readonly title: string; readonly version: string };
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

const URL = "/api/v1/openapi.json";
const METHODS = ["get", "put", "post", "patch", "delete"] as const;
const about = byId("about", HTMLParagraphElement);

try {
  const response = await request(URL);
  if (!response.ok) throw await problemOf(response);
  write((await response.json()) as Document);
} catch (error) {
  setText(about, `${(error as Error).message} Reload the page to try again.`);
}

function write(document: Document): void {
  const { info, servers, paths, components } = document;
  const link = make("a", "", "OpenAPI document");
  link.href = URL;
  about.replaceChildren(
    `Version ${info.version}, made of the `,
    link,
    ". Requests carry a token as Authorization: Bearer TOKEN where the server asks for one.",
  );
  const base = servers[0]?.url ?? "";
  const place = byId("operations", HTMLDivElement);
  for (const [path, item] of Object.entries(paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      if (operation) place.append(written(method, base + path, operation));
    }
  }
  for (const [name, schema] of Object.entries(components.schemas)) {
    const card = make("details", "card", make("summary", "", name));
    card.id = `schema-${name}`;
    if (schema.description) card.append(make("p", "hint", schema.description));
    const rows = Object.entries(schema.properties ?? {});
    if (rows.length > 0) {
      card.append(table(rows.map(([name, of]) => [name, typeOf(of), of.description ?? ""])));
    }
    const values = [...(schema.enum ?? []), ...(schema.oneOf ?? []).flatMap((it) => it.enum ?? [])];
    if (values.length > 0) card.append(make("p", "", values.join(", ")));
    place.append(card);
  }
}

function written(method: string, path: string, operation: Operation): HTMLElement {
  const title = make(
    "summary",
    "",
    make("span", "method", method.toUpperCase()),
    make("code", "", path),
  );
  const card = make("details", "card", title);
  card.append(make("p", "", operation.summary ?? ""));
  if (operation.description) card.append(make("p", "hint", operation.description));
  const needs = operation.security?.every((one) => Object.keys(one).length > 0) ?? false;
  if (needs) card.append(make("p", "hint", "For administrators."));
  const rows: Row[] = (operation.parameters ?? []).map((it) => [
    `${it.name} (${it.in}${it.required ? "" : ", optional"})`,
    typeOf(it.schema ?? {}),
    it.description ?? "",
  ]);
  if (operation.requestBody) rows.push(["body", typeIn(operation.requestBody), ""]);
  for (const [status, answer] of Object.entries(operation.responses)) {
    rows.push([`answer ${status}`, typeIn(answer), answer.description ?? ""]);
  }
  card.append(table(rows));
  return card;
}

type Row = readonly [string, Node | string, string];

function table(rows: readonly Row[]): HTMLTableElement {
  const lines = rows.map(([name, type, text]) =>
    make(
      "tr",
      "",
      make("td", "", make("code", "", name)),
      make("td", "", type),
      make("td", "", text),
    ),
  );
  return make("table", "", make("tbody", "", ...lines));
}

function typeIn(content: Content): Node | string {
  const [type, of] = Object.entries(content.content ?? {})[0] ?? [];
  if (type === undefined) return "";
  const shown = type === "application/json" ? "" : `${type} `;
  return make("span", "", shown, typeOf(of?.schema ?? {}));
}

function typeOf(schema: Schema): Node | string {
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop() ?? "";
    const link = make("a", "", name);
    link.href = `#schema-${name}`;
    link.onclick = () => document.getElementById(`schema-${name}`)?.setAttribute("open", "");
    return link;
  }
  if (schema.items) return make("span", "", "list of ", typeOf(schema.items));
  const other = schema.oneOf?.find((one) => one.type !== "null");
  if (other) return typeOf(other);
  const types = typeof schema.type === "string" ? [schema.type] : (schema.type ?? []);
  return types.join(" or ");
}
