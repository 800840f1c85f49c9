// Run the script of the tests against the R4 endpoint at argv[2] with MedplumClient; argv[3] are
// Parameters for $annotate. Print what came back as JSON.
globalThis.WebSocket ??= class {};
const { MedplumClient } = await import('@medplum/core');

const SNOMED = 'http://snomed.info/sct';
const base = process.argv[2];
const uploads = JSON.parse(process.argv[3]);
const url = new URL(base);
const client = new MedplumClient({
  baseUrl: `${url.origin}/`,
  fhirUrlPath: url.pathname.slice(1),
  cacheTime: 0,
  autoBatchTime: 0,
});

const patient = await client.createResource({
  resourceType: 'Patient',
  identifier: [{ system: 'urn:example:mrn', value: '4711' }],
});
const annotated = await client.post(client.fhirUrl('ImagingStudy', '$annotate'), uploads);
const ids = [];
for await (const page of client.searchResourcePages('ImagingStudy', { modality: 'DX', _count: 2 })) {
  ids.push(...page.map((study) => study.id));
}
const below = await client.searchResources('ImagingStudy', `bodysite:below=${SNOMED}|61685007`);
const observation = await client.searchOne(
  'Observation',
  `derived-from:ImagingStudy.modality=DX&body-site=${SNOMED}|72696002`,
);
const corrected = await client.updateResource({
  ...observation,
  status: 'corrected',
  bodySite: { coding: [{ system: SNOMED, code: '56459004' }] },
});
const found = await client.searchResources('ImagingStudy', `bodysite=${SNOMED}|56459004`);
const history = await client.readHistory('Observation', observation.id);
const former = await client.readVersion('Observation', observation.id, '1');
const patched = await client.patchResource('Observation', observation.id, [
  { op: 'replace', path: '/status', value: 'amended' },
]);
const batch = await client.executeBatch({
  resourceType: 'Bundle',
  type: 'batch',
  entry: [{ request: { method: 'GET', url: `Observation/${observation.id}` } }],
});
await client.deleteResource('Patient', patient.id);
let gone = null;
try {
  await client.readResource('Patient', patient.id);
} catch (error) {
  gone = error.outcome.issue[0].code;
}
console.log(JSON.stringify({
  kinds: [...new Set(annotated.entry.map((entry) => entry.resource.resourceType))],
  ids: new Set(ids).size,
  below: below.length,
  version: corrected.meta.versionId,
  found: found.length,
  history: history.entry.map((entry) => entry.resource.status),
  former: former.status,
  patched: patched.status,
  batch: batch.entry[0].response.status,
  gone,
}));
