# A program for IronWorker: its client library looks for the input in the command line.
import json
import sys


class Arguments:
    def __init__(self, words):
        self.id = self.folder = self.payload = self.config = self.schedule = None
        for index in range(len(words) - 1):
            word, value = words[index], words[index + 1]
            if word == "-id":
                self.id = value
            elif word == "-d":
                self.folder = value
            elif word == "-payload":
                self.payload = self.read(value)
            elif word == "-config":
                self.config = self.read(value)
            elif word == "-schedule_id":
                self.schedule = value

    @staticmethod
    def read(path):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        return json.loads(text) if text else None


arguments = Arguments(sys.argv)
with open(arguments.folder + "iron.txt") as file:
    beside = file.read().strip()
print(json.dumps({
    "id": arguments.id,
    "payload": arguments.payload,
    "config": arguments.config,
    "schedule": arguments.schedule,
    "beside": beside,
}))
