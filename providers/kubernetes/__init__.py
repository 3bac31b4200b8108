"""The kubernetes package of the embedded engine: any type of `pulumi-kubernetes` that has an apiVersion and a kind."""
