// Asks questions in GraphQL and shows the schema. No libraries, nothing from other hosts.
"use strict";

const element = (id) => document.getElementById(id);

const ask = async (query, variables) => {
  const token = element("token").value.trim();
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch("/graphql", { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  return { status: response.status, body: await response.json() };
};

element("question").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = element("answer");
  answer.hidden = false;
  try {
    const { status, body } = await ask(element("query").value, JSON.parse(element("variables").value || "{}"));
    answer.textContent = `${status}\n\n${JSON.stringify(body, null, 2)}`;
  } catch (error) {
    answer.textContent = String(error);
  }
});

element("query").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) element("question").requestSubmit();
});

const named = (type) =>
  type.kind === "NON_NULL" ? `${named(type.ofType)}!` : type.kind === "LIST" ? `[${named(type.ofType)}]` : type.name;

const described = (type) => {
  const entry = document.createElement("details");
  const head = document.createElement("summary");
  const name = document.createElement("code");
  name.textContent = type.name;
  head.append(name, type.description || "");
  const body = document.createElement("pre");
  const fields = (type.fields || []).map((field) => {
    const given = field.args.map((one) => `${one.name}: ${named(one.type)}`).join(", ");
    return `${field.name}${given && `(${given})`}: ${named(field.type)}${field.description ? `  # ${field.description}` : ""}`;
  });
  body.textContent = [...fields, ...(type.enumValues || []).map((one) => one.name)].join("\n");
  entry.append(head, body);
  return entry;
};

const TYPE = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
const SCHEMA = `{ __schema { types { kind name description enumValues { name }
  fields { name description type { ${TYPE} } args { name type { ${TYPE} } } } } } }`;

ask(SCHEMA)
  .then(({ body }) => {
    const types = body.data.__schema.types.filter((one) => !one.name.startsWith("__") && one.kind !== "SCALAR");
    element("schema").replaceChildren(...types.map(described));
  })
  .catch((error) => { element("schema").textContent = `The schema cannot be shown: ${error}`; });
