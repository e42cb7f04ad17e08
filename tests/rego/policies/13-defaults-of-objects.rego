package countersign.authz

limits := {"acme": {"methods": ["GET", "POST"]}, "beta": {}}

methods := object.get(object.get(limits, input.tenant, {}), "methods", ["GET"])

allow if input.method in methods

reason := object.get({"DELETE": "never_delete"}, input.method, "method")
