//go:build !amd64

package lanes

// AheadOf does nothing on other processors.
func AheadOf[T any](*T) {}

// AheadLine does nothing on other processors.
func AheadLine[T any](*T) {}

// Ahead does nothing on other processors.
func Ahead[T Value]([]T) {}
