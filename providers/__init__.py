"""Providers: one file per kind of object, stateless, each call complete in itself.

A dynamic provider's module path is written into every stack's state: once released, it is for ever. Modules import
fast, because plugin processes load them; drivers are imported inside the calls. Imports nothing else of ours.
"""
