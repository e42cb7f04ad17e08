package countersign.authz

allow := input.tenant

reason := input.roles
