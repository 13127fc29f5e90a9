-- Forget the holds that are not among these (investor, currency).
delete from ledger.holds h
 where not exists (select
                     from unnest(cast(:investors as text[]), cast(:currencies as text[])) as kept (investor_id, currency)
                    where kept.investor_id = h.investor_id and kept.currency = h.currency)
