-- Keep the text of the policy that a revision is computed with, once.
insert into ledger.policies (sha256, content, kept_at) values (:sha256, :content, :now) on conflict do nothing
