//go:build !(cgo && linux && !ci && !gles && !arm && !arm64 && !wayland)

package view

import (
	"image"

	"fyne.io/fyne/v2"
)

// readBackBuffer is for software OpenGL on Linux only.
func readBackBuffer(fyne.Window, image.Point) image.Image { return nil }
