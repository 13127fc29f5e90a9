-- A settled date keeps its window whatever the calendar says later, so that no receipt moves to another date or to none.
-- Dates that were settled before have none here: theirs is what the calendar says.

alter table ledger.days
  add column window_from timestamptz,
  add column window_until timestamptz,
  add check ((window_from is null) = (window_until is null) and window_from <= window_until),
  add constraint windows_do_not_overlap exclude using gist (tstzrange(window_from, window_until) with &&)
    where (window_from is not null);
