"""The page in the browser: drop a recording, see and hear what is wrong, have it mended.

    page (gradio) ─ store: a visitor's files ─ process: the command, run for them ─ page of a report
"""
