package countersign.authz

import data.tables as t

reading if {
	input.method == "GET"
	t.readable[input.path]
}

reason := "not_readable" if not t.readable[input.path]
