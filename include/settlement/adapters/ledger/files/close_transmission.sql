-- Keep what came back, byte for byte, and what it proves.
update ledger.transmissions
   set outcome = :outcome, answered_at = :now, status_code = :code, reason = :reason, said = :said, answer = :answer,
       sha256 = :sha
 where file_id = :file_id and number = :number
