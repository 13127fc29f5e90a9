-- Whether there is a relation of the name $1, which may have its schema before it.
select to_regclass($1) is not null as is_there
