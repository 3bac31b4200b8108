"""The web page: server-rendered forms and tables over the same actions as the API.

Decides what a person sees and where a form leads. What is done is `service.actions`, who may is `service.auth`.

├── fields      a line's JSON schema -> form fields (pure)
├── filled      form fields <-> a manifest, and which problem belongs beside which field (pure)
├── views       rows -> what the templates show: diffs by step, words for statuses, durations (pure)
├── pages       rendering, the ground that all routes share, errors as pages
└── routes_*    the routes
"""
