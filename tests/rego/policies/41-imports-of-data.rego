package countersign.authz

import data.limits
import data.limits.agents as known
import input.tenant

allow if {
	input.agentId in known
	limits.tenants[tenant] > count(input.scopes)
}

reason := "limit" if limits.tenants[tenant] <= count(input.scopes)
