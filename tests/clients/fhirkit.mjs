// Run the script of the tests against the R4 endpoint at argv[2] with fhir-kit-client; argv[3] are
// Parameters for $annotate. Print what came back as JSON.
import { Client } from 'fhir-kit-client';

const SNOMED = 'http://snomed.info/sct';
const client = new Client({ baseUrl: process.argv[2] });
const uploads = JSON.parse(process.argv[3]);

const patient = await client.create({
  resourceType: 'Patient',
  body: { resourceType: 'Patient', identifier: [{ system: 'urn:example:mrn', value: '4711' }] },
});
const annotated = await client.operation({
  name: 'annotate',
  resourceType: 'ImagingStudy',
  method: 'POST',
  input: uploads,
});
const search = (resourceType, searchParams) => client.resourceSearch({ resourceType, searchParams });
let page = await search('ImagingStudy', { modality: 'DX', _count: 2 });
const ids = page.entry.map((entry) => entry.resource.id);
while (page.link.some((link) => link.relation === 'next')) {
  page = await client.nextPage({ bundle: page });
  ids.push(...page.entry.map((entry) => entry.resource.id));
}
const below = await search('ImagingStudy', { 'bodysite:below': `${SNOMED}|61685007` });
const chained = await search('Observation', {
  'derived-from:ImagingStudy.modality': 'DX',
  'body-site': `${SNOMED}|72696002`,
});
const observation = chained.entry[0].resource;
const corrected = await client.update({
  resourceType: 'Observation',
  id: observation.id,
  body: {
    ...observation,
    status: 'corrected',
    bodySite: { coding: [{ system: SNOMED, code: '56459004' }] },
  },
  options: { headers: { 'If-Match': `W/"${observation.meta.versionId}"` } },
});
const found = await search('ImagingStudy', { bodysite: `${SNOMED}|56459004` });
const history = await client.history({ resourceType: 'Observation', id: observation.id });
const former = await client.vread({ resourceType: 'Observation', id: observation.id, version: '1' });
const batch = await client.batch({
  body: {
    resourceType: 'Bundle',
    type: 'batch',
    entry: [{ request: { method: 'GET', url: `Observation/${observation.id}` } }],
  },
});
await client.delete({ resourceType: 'Patient', id: patient.id });
let gone = null;
try {
  await client.read({ resourceType: 'Patient', id: patient.id });
} catch (error) {
  gone = error.response.status;
}
console.log(JSON.stringify({
  kinds: [...new Set(annotated.entry.map((entry) => entry.resource.resourceType))],
  ids: new Set(ids).size,
  below: below.entry.length,
  version: corrected.meta.versionId,
  found: found.entry.length,
  history: history.entry.map((entry) => entry.resource.status),
  former: former.status,
  batch: batch.entry[0].response.status,
  gone,
}));
