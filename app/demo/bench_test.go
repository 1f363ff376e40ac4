package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"quicprochat/core/client"
)

// BenchmarkStart starts the desktop app on a profile with a conversation of
// 10,000 messages. It reports the time until the window is drawn (with the
// unlock screen), the time from the password to the drawn conversation, and
// the resident memory then.
func BenchmarkStart(b *testing.B) {
	s := newBenchStage(b)
	const title, messages = "Notes", 10_000
	fillProfile(b, s, title, messages)
	var toWindow, toConversation time.Duration
	var resident float64
	for b.Loop() {
		start := time.Now()
		w, err := s.openWindow("alice", "light")
		if err != nil {
			b.Fatal(err)
		}
		picture := filepath.Join(s.dir, "drawn.png")
		s.mustDo(b, w, "screenshot", fields{"path": picture})
		toWindow += time.Since(start)

		start = time.Now()
		s.mustDo(b, w, "unlock", fields{"password": password})
		s.mustDo(b, w, "open", fields{"title": title})
		s.mustDo(b, w, "screenshot", fields{"path": picture})
		toConversation += time.Since(start)
		resident += residentMiB(b, w.cmd.Process.Pid)
		stop(w.cmd)
	}
	n := float64(b.N)
	b.ReportMetric(float64(toWindow.Milliseconds())/n, "window-ms")
	b.ReportMetric(float64(toConversation.Milliseconds())/n, "unlock-ms")
	b.ReportMetric(resident/n, "resident-MiB")
}

func newBenchStage(b *testing.B) *stage {
	b.Helper()
	bin := os.Getenv("QPC_BIN")
	if bin == "" {
		bin = buildPrograms(b)
	}
	dir := b.TempDir()
	display, _, err := openDisplay(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(display.close)
	s := &stage{ctx: b.Context(), bin: bin, dir: dir, out: dir, env: display.env(), began: time.Now()}
	if err := s.startServer(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.clear)
	return s
}

// fillProfile makes Alice's profile, with a group of her own full of texts.
func fillProfile(b *testing.B, s *stage, title string, messages int) {
	b.Helper()
	link, err := client.ParseLink(s.link)
	if err != nil {
		b.Fatal(err)
	}
	c, err := client.Register(b.Context(), client.Options{Dir: filepath.Join(s.dir, "alice"), DeviceName: "bench"}, link, "alice", password)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if err := c.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	group, err := c.CreateGroup(b.Context(), title, nil)
	if err != nil {
		b.Fatal(err)
	}
	events, cancel := c.Subscribe()
	defer cancel()
	for i := range messages {
		text := fmt.Sprintf("Note %d. %s", i, strings.Repeat("Words of a message of ordinary length. ", i%7))
		if _, err := c.Send(b.Context(), group.ID, text); err != nil {
			b.Fatal(err)
		}
	}
	for event := range events {
		changed, ok := event.(client.MessageChanged)
		if ok && changed.Message.State == client.StateSent && strings.HasPrefix(changed.Message.Text, fmt.Sprintf("Note %d.", messages-1)) {
			return
		}
	}
}

func (s *stage) mustDo(b *testing.B, w *window, command string, args fields) {
	b.Helper()
	if _, err := w.do(command, args); err != nil {
		b.Fatal(err)
	}
}

func residentMiB(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("resident memory is read from /proc:", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	b.Fatal("no VmRSS in /proc")
	return 0
}
