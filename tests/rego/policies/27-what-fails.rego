package countersign.authz

default allow := true

allow := false if to_number(split(input.path, "/")[2]) > 10
