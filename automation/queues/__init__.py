"""The queue between those who ask for jobs and those who run them. It carries ids only; the job's row is the truth."""
