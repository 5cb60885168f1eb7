// Shows an OpenAPI document (?version=2: the second one) and sends requests to try it. No libraries, nothing from other hosts.
"use strict";

const make = (tag, text, ...children) => {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  node.append(...children);
  return node;
};

// Paragraphs, with what stands between back-ticks as code.
const prose = (text) =>
  (text || "").split(/\n\s*\n/).filter(Boolean).map((paragraph) => make("p", "", ...phrases(paragraph)));

const phrases = (text) => text.split("`").map((part, number) => (number % 2 ? make("code", part) : part));

const show = (specification) => {
  const resolve = (schema) =>
    schema && schema.$ref ? resolve(schema.$ref.slice(2).split("/").reduce((at, key) => at[key], specification)) : schema || {};

  const example = (schema, depth = 0) => {
    const found = resolve(schema);
    const given = found.examples && Object.values(found.examples)[0];
    if (given !== undefined) return given && given.value !== undefined ? given.value : given;
    const choice = found.oneOf || found.anyOf;
    if (choice) return example(choice.find((one) => one.type !== "null") || choice[0], depth);
    if (found.enum) return found.enum[0];
    if (found.const !== undefined) return found.const;
    if (depth > 6) return null;
    if (found.properties)
      return Object.fromEntries(Object.entries(found.properties).map(([name, one]) => [name, example(one, depth + 1)]));
    if (found.type === "array") return [example(found.items, depth + 1)];
    if (found.type === "integer" || found.type === "number") return found.minimum > 0 ? found.minimum : 1;
    if (found.type === "boolean") return true;
    return found.format || "text";
  };

  // The document has an example of every body; what has none is made up from its schema.
  const shown = (body) => {
    const given = Object.values(body.examples || {})[0];
    return JSON.stringify(given ? given.value : example(body.schema), null, 2);
  };

  const content = (body) => Object.values((body && body.content) || {})[0];

  const table = (rows) => {
    const body = make("tbody");
    rows.forEach((cells) => body.append(make("tr", "", ...cells.map((cell) => make("td", "", ...phrases(cell))))));
    return make("table", "", body);
  };

  const tryIt = (path, method, operation) => {
    const form = make("form");
    const inputs = (operation.parameters || []).map((parameter) => {
      const input = make("input");
      form.append(make("label", `${parameter.name} (${parameter.in}) `, input));
      return [parameter, input];
    });
    const sent = content(operation.requestBody);
    const body = make("textarea");
    if (sent) {
      body.value = shown(sent);
      body.rows = Math.min(12, body.value.split("\n").length);
      form.append(make("label", "Body", body));
    }
    const answer = make("pre");
    answer.hidden = true;
    form.append(make("button", "Send"), answer);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      let target = path;
      const query = new URLSearchParams();
      const token = document.getElementById("token").value.trim();
      const headers = token ? { Authorization: `Bearer ${token}` } : {};
      inputs.forEach(([parameter, input]) => {
        if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
        else if (input.value && parameter.in === "header") headers[parameter.name] = input.value;
        else if (input.value) query.append(parameter.name, input.value);
      });
      if (sent) headers["Content-Type"] = "application/json";
      const request = { method: method.toUpperCase(), headers, body: sent ? body.value : undefined };
      const response = await fetch(query.size ? `${target}?${query}` : target, request);
      const text = await response.text();
      let pretty = text;
      try { pretty = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it is */ }
      answer.textContent = `${response.status}\n${[...response.headers].map((one) => one.join(": ")).join("\n")}\n\n${pretty}`;
      answer.hidden = false;
    });
    return form;
  };

  const describe = (path, method, operation) => {
    const head = make("summary", "", make("b", method.toUpperCase()), make("code", path), operation.summary || "");
    const entry = make("details", "", head, ...prose(operation.description));
    if ((operation.security || []).length) entry.append(make("p", "Needs an access token."));
    if ((operation.parameters || []).length)
      entry.append(make("h4", "Parameters"), table(operation.parameters.map((one) => [one.name, one.in, one.required ? "required" : "", one.description || ""])));
    entry.append(make("h4", "Answers"), table(Object.entries(operation.responses || {}).map(([status, one]) => [status, one.description || ""])));
    const success = Object.entries(operation.responses || {}).find(([status]) => status.startsWith("2"));
    const answered = success && content(success[1]);
    if (answered && answered.schema) entry.append(make("pre", shown(answered)));
    entry.append(make("h4", "Try it"), tryIt(path, method, operation));
    return entry;
  };

  document.getElementById("description").replaceChildren(...prose(specification.info.description));
  const groups = new Map();
  Object.entries(specification.paths).forEach(([path, methods]) =>
    Object.entries(methods).forEach(([method, operation]) => {
      if (!operation || !operation.responses) return;
      const tag = (operation.tags || ["Other"])[0];
      if (!groups.has(tag)) groups.set(tag, make("section", "", make("h2", tag)));
      groups.get(tag).append(describe(path, method, operation));
    }));
  document.getElementById("operations").replaceChildren(...groups.values());
};

const second = new URLSearchParams(location.search).get("version") === "2";
fetch(second ? "/openapi-v2.json" : "/openapi.json")
  .then((response) => response.json())
  .then(show)
  .catch((error) => { document.getElementById("operations").textContent = `The document cannot be shown: ${error}`; });
