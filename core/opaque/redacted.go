package opaque

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is embedded by what holds secrets, to keep them out of logs.
type redacted struct{}

// LogValue hides the secrets.
func (redacted) LogValue() slog.Value { return slog.StringValue("[opaque secrets]") }

// Format hides the secrets from every verb of fmt.
func (redacted) Format(f fmt.State, _ rune) { io.WriteString(f, "[opaque secrets]") }
