// Draws two windows, one above the other, and returns them as WebP.
async (shots, { width, height, margin, bar, scale }) => {
  const canvas = document.createElement("canvas");
  const frame = height + bar;
  canvas.width = (width + 2 * margin) * scale;
  canvas.height = (2 * frame + 3 * margin) * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const ground = pen.createLinearGradient(0, 0, width, 2 * frame);
  ground.addColorStop(0, "#dfe8f7");
  ground.addColorStop(1, "#cfd6ea");
  pen.fillStyle = ground;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  for (const [at, { data, dark }] of shots.entries()) {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    const [left, top] = [margin, margin + at * (frame + margin)];
    pen.save();
    pen.shadowColor = "rgb(20 30 60 / .28)";
    pen.shadowBlur = 26 * scale;
    pen.shadowOffsetY = 8 * scale;
    pen.fillStyle = dark ? "#2a313c" : "#e9ecf1";
    pen.beginPath();
    pen.roundRect(left, top, width, frame, 10);
    pen.fill();
    pen.restore();
    pen.save();
    pen.beginPath();
    pen.roundRect(left, top, width, frame, 10);
    pen.clip();
    pen.drawImage(image, left, top + bar, width, height);
    for (const [dot, colour] of ["#f26d63", "#f5bf4f", "#61c554"].entries()) {
      pen.fillStyle = colour;
      pen.beginPath();
      pen.arc(left + 16 + 17 * dot, top + bar / 2, 5, 0, 7);
      pen.fill();
    }
    pen.restore();
  }
  return canvas.toDataURL("image/webp", 0.82);
}
