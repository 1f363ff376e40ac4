package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// attackEnv makes the test's program an attacker: "kind link".
const attackEnv = "QPC_TEST_ATTACK"

// attackers are how many connections an attack makes.
const attackers = 100

// The attackers run in a process of their own, so that what they hold is not
// mistaken for what the server does. They say "ready" when all is under way,
// and go on until their input is closed.
var attacks = map[string]func(link Link) error{
	// Connections that do nothing.
	"idle": func(link Link) error { return attack(link, func(*quic.Conn) error { return nil }) },
	// As many streams as are allowed, with half a header, then a byte now and then.
	"slow": func(link Link) error {
		return attack(link, func(c *quic.Conn) error {
			return streams(c, func(s *quic.Stream) {
				for _, b := range []byte{2, 0} {
					_, _ = s.Write([]byte{b})
				}
				go func() {
					for range time.Tick(300 * time.Millisecond) {
						if _, err := s.Write([]byte{0}); err != nil {
							return
						}
					}
				}()
			})
		})
	},
	// Headers that announce as much as is allowed, and a part of it.
	"half": func(link Link) error {
		return attack(link, func(c *quic.Conn) error {
			return streams(c, func(s *quic.Stream) {
				_, _ = s.Write(appendRequestHeader(nil, methodID(&qpcv1.CommitRequest{}), 1, MaxRequest))
				go func() { _, _ = s.Write(make([]byte, 600<<10)) }()
			})
		})
	},
	// Frames larger than anything allowed, or for methods that do not exist.
	"rubbish": func(link Link) error {
		return attack(link, func(c *quic.Conn) error {
			_ = streams(c, func(s *quic.Stream) {
				h := appendRequestHeader(nil, methodID(&qpcv1.HealthRequest{}), 1, 0)
				binary.BigEndian.PutUint32(h[6:], 1<<32-1)
				_, _ = s.Write(h)
			})
			return nil // being dropped in the middle of it is what it should get
		})
	},
	// Streams that are opened, used and given up, one after the other.
	"streams": func(link Link) error {
		n := 0
		return attack(link, func(c *quic.Conn) error {
			if n++; n > 8 { // more would only wait for the processor
				return nil
			}
			go func() {
				frame := AppendRequest(nil, Request{Method: methodID(&qpcv1.HealthRequest{}), ID: 1})
				for {
					s, err := c.OpenStreamSync(c.Context())
					if err != nil {
						return
					}
					_, _ = s.Write(frame)
					s.CancelRead(1)
					s.CancelWrite(1)
				}
			}()
			return nil
		})
	},
	// First packets of connections whose answers nobody reads.
	"handshakes": func(link Link) error {
		for range attackers {
			socket, err := net.ListenUDP("udp4", nil)
			if err != nil {
				return err
			}
			tr := &quic.Transport{Conn: deaf{socket}}
			go func() {
				_, _ = tr.Dial(context.Background(), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: link.Port}, ClientTLS(link.Host, link.Pin), &quic.Config{HandshakeIdleTimeout: time.Minute})
			}()
		}
		return nil
	},
}

// deaf is a socket that hears nothing.
type deaf struct{ net.PacketConn }

func (d deaf) ReadFrom([]byte) (int, net.Addr, error) { select {} }

func methodID(req proto.Message) uint16 {
	m, _ := MethodOf(req)
	return m.ID
}

func attack(link Link, do func(*quic.Conn) error) error {
	for range attackers {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		c, err := quic.DialAddr(ctx, fmt.Sprintf("127.0.0.1:%d", link.Port), ClientTLS(link.Host, link.Pin), &quic.Config{KeepAlivePeriod: time.Second})
		cancel()
		if err != nil {
			continue // refused, which is for the server to count
		}
		if err := do(c); err != nil && c.Context().Err() == nil {
			return err
		}
	}
	return nil
}

// streams opens as many as are allowed at once.
func streams(c *quic.Conn, do func(*quic.Stream)) error {
	for range 64 {
		s, err := c.OpenStream()
		if _, limit := errors.AsType[*quic.StreamLimitReachedError](err); limit {
			return nil
		}
		if err != nil {
			return err
		}
		do(s)
	}
	return nil
}

// runAttack is the attacker's program.
func runAttack(text string) {
	kind, address, _ := strings.Cut(text, " ")
	link, err := ParseLink(address)
	if err == nil {
		err = attacks[kind](link)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// startAttack runs an attack until the test ends, and returns when it is
// under way.
func startAttack(t *testing.T, kind string, link Link) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), attackEnv+"="+kind+" "+link.String())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the attacker says %q, %v", line, err)
	}
}

// memory is what is in use, heap and stacks, in bytes.
func memory() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// While a hundred connections of one network do their worst, what they make
// the server hold is bounded, and a client's calls are answered, its large
// ones too.
func TestFloods(t *testing.T) {
	const mib = 1 << 20
	for kind, tc := range map[string]struct {
		opts  ServeOptions
		bound int // of memory, in MiB
		check func(t *testing.T, c ConnectionCounts)
	}{
		"idle": {
			ServeOptions{Connections: NewConnections(1000, 60, 0)},
			16,
			func(t *testing.T, c ConnectionCounts) {
				if c.Open > 61 || c.RefusedAddress < attackers-60 {
					t.Errorf("%+v", c)
				}
			},
		},
		"slow": {
			ServeOptions{Connections: NewConnections(1000, 200, 0)},
			40,
			func(t *testing.T, c ConnectionCounts) {
				if c.Reading > 400 || c.RefusedStreams < 64*attackers-2*400 {
					t.Errorf("%+v", c)
				}
			},
		},
		"half": {
			ServeOptions{Connections: NewConnections(1000, 200, 0), AllRequestMemory: 64 * mib},
			100,
			func(t *testing.T, c ConnectionCounts) {
				if c.Open < attackers/2 {
					t.Errorf("%+v", c)
				}
			},
		},
		"rubbish": {
			ServeOptions{Connections: NewConnections(1000, 200, 0)},
			24,
			func(t *testing.T, c ConnectionCounts) {
				if c.Made < attackers {
					t.Errorf("%+v", c)
				}
			},
		},
		"streams": {
			ServeOptions{Connections: NewConnections(1000, 200, 0)},
			16,
			func(t *testing.T, c ConnectionCounts) {
				if c.Reading > 64*8 {
					t.Errorf("%+v", c)
				}
			},
		},
		"handshakes": {
			ServeOptions{Connections: NewConnections(1000, 200, 64), HandshakeTimeout: time.Minute},
			8,
			func(t *testing.T, c ConnectionCounts) {
				if c.Handshaking > 64/8 || c.Validated < attackers-64/8 {
					t.Errorf("%+v", c)
				}
			},
		},
	} {
		t.Run(kind, func(t *testing.T) {
			r := healthRouter()
			Handle(r, func(_ context.Context, _ *Peer, req *qpcv1.CommitRequest) (*qpcv1.CommitResponse, error) {
				return &qpcv1.CommitResponse{ChannelSeq: uint64(len(req.Body))}, nil
			})
			tc.opts.DrainTimeout = 100 * time.Millisecond // nobody waits for the attackers
			s := serve(t, r, tc.opts)
			// From another network: what the attackers have is their own's.
			honest := s.dialFrom(t, netip.MustParseAddr("127.0.0.2"))
			mustHealth(t, honest)
			before := memory()
			startAttack(t, kind, s.link)
			for range 50 {
				mustHealth(t, honest)
			}
			var resp qpcv1.CommitResponse
			if err := honest.Call(testContext(t), &qpcv1.CommitRequest{Body: make([]byte, 2*mib)}, &resp); err != nil || resp.ChannelSeq != 2*mib {
				t.Errorf("a large call: %v", err)
			}
			used := memory() - before
			c := tc.opts.Connections.Counts()
			t.Logf("%d MiB for %d connections; %+v", used/mib, c.Open, c)
			if used > tc.bound*mib {
				t.Errorf("%d MiB are in use, at most %d should be", used/mib, tc.bound)
			}
			tc.check(t, c)
			s.dialFrom(t, netip.MustParseAddr("127.0.0.3"))
		})
	}
}

// dialFrom dials from an address of one's own.
func (s *testServer) dialFrom(t *testing.T, from netip.Addr) *Conn {
	t.Helper()
	socket, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)))
	if err != nil {
		t.Skip("this system has but one loopback address: ", err)
	}
	opts := DialOptions{}
	tr := &quic.Transport{Conn: socket}
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: s.link.Port}
	q, err := tr.Dial(testContext(t), to, ClientTLS(s.link.Host, s.link.Pin), opts.quicConfig())
	if err != nil {
		t.Fatalf("from %v: %v", from, err)
	}
	c := newConn(q, tr, socket, opts)
	t.Cleanup(func() { _ = c.Close() })
	return c
}
