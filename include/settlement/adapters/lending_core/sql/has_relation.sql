-- Whether schema core has the relation $1.
select to_regclass('core.' || quote_ident($1)) is not null as is_there
