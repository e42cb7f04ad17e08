package countersign.authz

import data.shared.paths
import data.shared.scopes as held

default allow := false

allow if {
	paths.is_api
	held.reads(paths.resource)
}

allow if {
	paths.under("/public")
	not held.writes
}

reason := sprintf("%s.%d", [paths.resource, held.number])
