package countersign.authz

level := data.levels[input.tenant] if input.method == "GET"

else := data.levels.other if input.method in {"GET", "POST"}

else := 0

allow if level > 1

default strict := true

strict := data.flags[input.tenant] if input.path != "/"

allow if not strict

reason := sprintf("level%d", [level])
