-- Forget the holds that are not among these (kind and id of the payee, currency).
delete from ledger.holds h
 where not exists (select
                     from unnest(cast(:kinds as text[]), cast(:payees as text[]), cast(:currencies as text[]))
                       as kept (payee_kind, payee_id, currency)
                    where (kept.payee_kind, kept.payee_id, kept.currency) = (h.payee_kind, h.payee_id, h.currency))
