# METADATA
# custom:
#   id: example.tenants
#   version: v1
#   resource_types: [document]
package example.tenants

same if input.subject.tenant == input.tenant

decision := {"effect": "deny", "reason": "wrong_tenant"} if not same

decision := {"effect": "allow", "reason": "same_tenant"} if {
	same
	input.resource.system == null
}

decision := {"effect": "allow", "reason": sprintf("of.%s", [input.resource.system])} if {
	same
	input.resource.system != null
}
