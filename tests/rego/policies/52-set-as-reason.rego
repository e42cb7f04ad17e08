package countersign.authz

default allow := false

reason := 7 if input.tenant == "seven"

else := "two words" if input.tenant == "two"

else := "" if input.tenant == "empty"

else := "fine:word.with-all_4" if input.tenant == "fine"
