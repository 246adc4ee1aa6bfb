"""The report: tables, pictures and one page out of files; no model is run and no torch is here."""
