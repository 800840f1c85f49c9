"""What a body site is: SNOMED CT body structures, crosswalks to them, words and headers."""
