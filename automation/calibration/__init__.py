"""Measures what an ISP's customers and features use, and fits the sizing's coefficients to it (ISP-3).

A load is run on the sample application (`sandbox.sample_app.isp`) with a real PostgreSQL, at several customer counts.
`load` says what is asked of it, `driver` asks, `subject` has the servers, `measure` reads what they use, `fit` is the
arithmetic, `points` says what is measured in which order, `results` judges it.
"""
