// Read and search the service at argv[2] with fhir-kit-client; print what came back as JSON.
import { Client } from 'fhir-kit-client';

const client = new Client({ baseUrl: process.argv[2] });
const site = process.argv[3];
const capability = await client.capabilityStatement();
const bundle = await client.resourceSearch({
  resourceType: 'ImagingStudy',
  searchParams: { 'bodysite:below': `http://snomed.info/sct|${site}`, _count: 2 },
});
const ids = bundle.entry.map((entry) => entry.resource.id);
let page = bundle;
while (page.link.some((link) => link.relation === 'next')) {
  page = await client.nextPage({ bundle: page });
  ids.push(...page.entry.map((entry) => entry.resource.id));
}
const study = await client.read({ resourceType: 'ImagingStudy', id: ids[0] });
const observations = await client.resourceSearch({
  resourceType: 'Observation',
  searchParams: { 'body-site:below': `http://snomed.info/sct|${site}` },
});
let missing = null;
try {
  await client.read({ resourceType: 'ImagingStudy', id: 'no-such-study' });
} catch (error) {
  missing = { status: error.response.status, issue: error.response.data.issue[0].code };
}
const lookup = await client.operation({
  name: 'lookup',
  resourceType: 'CodeSystem',
  method: 'GET',
  input: { system: 'http://snomed.info/sct', code: site },
});
console.log(JSON.stringify({
  fhirVersion: capability.fhirVersion,
  total: bundle.total,
  ids,
  study: study.id,
  observations: observations.total,
  missing,
  lookup: lookup.resourceType,
}));
