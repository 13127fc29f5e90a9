-- One row per investor.
select investor_id, tax_class
  from core.investors
