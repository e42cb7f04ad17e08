package countersign.authz

tenant := data.tenants[input.tenant]

allow if {
	tenant.active
	some prefix in tenant.prefixes
	startswith(input.path, prefix)
}

reason := "unknown_tenant" if not data.tenants[input.tenant]

reason := "inactive_tenant" if tenant.active == false
