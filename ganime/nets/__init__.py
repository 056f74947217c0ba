"""Networks and how they compute: the DCGAN, the feature networks, the critic, averaging, devices."""
