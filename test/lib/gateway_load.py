#!/usr/bin/python3
# gateway_load.py: clients of the gateway, all at once. Some send webhooks and
# each of them again until it is accepted; others disturb.
#
# usage: gateway_load.py PORT SECONDS SECRET SESSIONS FOLDER [FEED]
# FOLDER/accepted: the names of what was accepted; FOLDER/doubtful: of what was
# sent and never answered; FOLDER/said: "who status count", a line each. FEED is
# the path of a feed.
import collections
import hashlib
import hmac
import http.client
import random
import socket
import subprocess
import sys
import threading
import time

port, seconds, secret, sessions, folder = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3].encode(), int(sys.argv[4]), sys.argv[5]
feed = sys.argv[6] if len(sys.argv) > 6 else None
end = time.monotonic() + seconds
lock = threading.Lock()
said = collections.Counter()
accepted, doubtful = [], []
TROUBLE = (OSError, http.client.HTTPException)


def note(who, status):
	with lock:
		said[who, status] += 1


# Somebody joins; of a name there is one.
def event(name):
	meeting = 80000000000 + int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % sessions + 1
	body = ('{"event":"meeting.participant_joined","event_ts":1767607200000,"payload":{"account_id":"acct-1","object":{"id":"%s","uuid":"u%s==",'
		'"participant":{"user_name":"Jo Sample","id":"%s","participant_uuid":"%s","join_time":"2026-01-05T10:00:06Z"}}}}' % (meeting, meeting, name, name)).encode()
	stamp = str(int(time.time()))
	signature = 'v0=' + hmac.new(secret, b'v0:' + stamp.encode() + b':' + body, hashlib.sha256).hexdigest()
	return body, {'Content-Type': 'application/json', 'x-zm-request-timestamp': stamp, 'x-zm-signature': signature}


# Says whether it was accepted, and counts the answer.
def settle(who, name, status):
	note(who, status)
	if status in (200, 202):
		with lock:
			accepted.append(name)
	return status in (200, 202)


def sender(number):
	connection = None
	n = 0
	while time.monotonic() < end:
		n += 1
		name = 'python-%d-%d' % (number, n)
		is_accepted = False
		while not is_accepted and time.monotonic() < end:
			try:
				if connection is None:
					connection = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
				body, headers = event(name)
				connection.request('POST', random.choice(['/api/v2/zoom/webhook', '/zoom_events/events']), body, headers)
				answer = connection.getresponse()
				answer.read()
				is_accepted = settle('sender', name, answer.status)
				if is_accepted and random.random() < 0.05:
					is_accepted = False  # and once more
			except TROUBLE:
				note('sender', 'broken')
				connection = None
				time.sleep(0.02)
		if not is_accepted:
			with lock:
				doubtful.append(name)


def curl(number):
	n = 0
	while time.monotonic() < end:
		n += 1
		name = 'curl-%d-%d' % (number, n)
		body, headers = event(name)
		fields = [part for field in headers.items() for part in ('-H', '%s: %s' % field)]
		out = subprocess.run(['curl', '-s', '-m', '10', '-o', '/dev/null', '-w', '%{http_code}', '--data-binary', '@-'] + fields +
			['http://127.0.0.1:%d/zoom_events/events' % port], input=body, stdout=subprocess.PIPE).stdout.decode()
		if not settle('curl', name, int(out) if out != '000' else 'broken'):
			with lock:
				doubtful.append(name)
			time.sleep(0.02)


def rubbish(number):
	heads = [b'POST /zoom_events/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}',
		b'POST /zoom_events/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', b'GET /healthz HTTP/1.1\n\n',
		b'POST /zoom_events/events HTTP/1.1\r\nHost: x\r\nx-zm-signature: v0=00\r\nContent-Length: 2\r\n\r\n{}', b'\0' * 99]
	while time.monotonic() < end:
		try:
			with socket.create_connection(('127.0.0.1', port), timeout=5) as s:
				head = random.choice(heads + [random.randbytes(random.randint(1, 300))])
				s.sendall(head[:random.randint(1, len(head))] if random.random() < 0.3 else head)
				if random.random() < 0.7:
					s.settimeout(0.2)
					answer = s.recv(4096)
					note('rubbish', answer[9:12].decode('latin-1') or 'closed')
		except TROUBLE:
			note('rubbish', 'broken')
			time.sleep(0.005)


# A byte now and then on each of many connections.
def slow(number):
	text = b'POST /zoom_events/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n' + b' ' * 90
	sockets = {}
	while time.monotonic() < end:
		try:
			while len(sockets) < 20:
				sockets[socket.create_connection(('127.0.0.1', port), timeout=5)] = 0
		except TROUBLE:
			pass
		for s, at in list(sockets.items()):
			try:
				s.sendall(text[at:at + 1])
				sockets[s] = at + 1
				if at + 1 >= len(text):
					raise OSError
			except TROUBLE:
				s.close()
				del sockets[s]
		time.sleep(0.05)


def asks(who, paths):
	def ask(number):
		tag = None
		while time.monotonic() < end:
			try:
				connection = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
				for _ in range(20):
					connection.request('GET', random.choice(paths), headers={'If-None-Match': tag} if tag and random.random() < 0.5 else {})
					answer = connection.getresponse()
					answer.read()
					tag = answer.headers.get('ETag')
					note(who, answer.status)
				connection.close()
			except TROUBLE:
				note(who, 'broken')
				time.sleep(0.02)
	return ask


work = [sender] * 6 + [curl, rubbish, rubbish, slow, asks('health', ['/healthz', '/readyz', '/metrics', '/zoom_events/health'])]
if feed:
	work.append(asks('feed', [feed]))
threads = [threading.Thread(target=target, args=(number,)) for number, target in enumerate(work)]
for thread in threads:
	thread.start()
for thread in threads:
	thread.join()
for name, lines in (('accepted', accepted), ('doubtful', doubtful), ('said', ['%s %s %d' % (*key, n) for key, n in sorted(said.items(), key=str)])):
	with open('%s/%s' % (folder, name), 'w') as f:
		f.write(''.join(line + '\n' for line in lines))
