"""The lab's controllers: each follows the API by a watch and answers with writes."""
