"""An installed app that makes the dummy encoder slow, hang or crash, as its environment says.

FAULTS_LOG names a file that gets a line when a call of the encoder begins and ends; a call takes
FAULTS_SECONDS for each text. A text with HANGS in it never ends, one with KILLS kills its process.
"""

HANGS = "this text hangs"
KILLS = "this text kills"
