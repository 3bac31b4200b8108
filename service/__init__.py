"""The HTTP service: API, web page, sign-in. It only translates: what is done, and remembered, is `automation`'s."""
