-- One row per reference out of :references that a receipt carries.
select distinct bank_reference from core.repayments where bank_reference = any(:references)
