"""Review by a person: the worklist, verdicts and what they change, corrections to train on.

- `statement`: what an Observation says: the site, its side and view.
- `verdicts`: what persons have said of a study, and what of the machine's answers then stands.
- `tasks`: the Task of a study that a person should look at.
- `writes`: what becomes of an Observation, ImagingStudy or Task that a person writes.
- `corrections`: verdicts beside what machine and header said, as training rows.
"""
