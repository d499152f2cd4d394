"""An installed app that makes a worker with the dummy encoder suffer, as its environment says.

FAULTS_LOG names a file that gets a line when a call of the encoder begins and ends; a call takes
FAULTS_SECONDS for each text. FAULTS_FATES names a folder of fates (see ``fates``), FAULTS_MEMORY
the longest text times texts that a call has memory for, FAULTS_CLOCK the seconds by which the
process's clock is wrong. The words of a text say what it does to the encoder:
"""

HANGS = "this text hangs"
KILLS = "this text kills"
RAISES = "this text raises"
