"""Runs the process of the traffic."""

from safeops.rehearse.traffic.worker import main

main()
