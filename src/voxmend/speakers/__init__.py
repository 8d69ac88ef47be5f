"""SpeakEMB: embeddings of speakers, their encoders, and voices that nobody has."""
